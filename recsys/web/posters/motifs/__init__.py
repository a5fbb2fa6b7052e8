"""Motifs of drawn posters: functions that draw a scene on the stage of a canvas."""

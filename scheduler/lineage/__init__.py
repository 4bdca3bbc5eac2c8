"""Which database this is, whether it went back in time, and how what it lost is made good before anything is sent."""

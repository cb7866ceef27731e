"""Energy and time of answers: power tables of boards, measured costs, meters, instruments."""

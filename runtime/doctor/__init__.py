"""`turnout doctor`: what this machine offers to Turnout, what each missing thing disables, what to install."""

"""The fictional world: a stand-in partner, a mail catcher and scripted officers, around the real thing."""

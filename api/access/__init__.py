"""Who may do what: keys, wallet logins, withdrawal destinations, and the trail of what was done."""

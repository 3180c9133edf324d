"""What people and machines are sent: a notification is built, rendered once to plain text, and put in a payload."""

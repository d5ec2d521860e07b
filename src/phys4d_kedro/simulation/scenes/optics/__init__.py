"""Light, shadow, mirrors and glass."""

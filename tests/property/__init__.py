"""What must hold for any mix."""

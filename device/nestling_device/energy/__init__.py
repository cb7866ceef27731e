"""What answers cost: profiles of boards and links, and the meters that apply them."""

"""What a finite-element user asks of the command line: meshes in other formats, solver decks, plain surfaces."""

"""How a bundle gets onto the device: sources, the blob folder, the installer."""

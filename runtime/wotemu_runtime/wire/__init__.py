"""HTTP and CoAP requests as a node's packets show them, of whatever program, where they are in the clear."""

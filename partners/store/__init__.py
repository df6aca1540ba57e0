"""Tables of the partners' domain and the questions that its pages and jobs ask them."""

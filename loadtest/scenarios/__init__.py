"""What is compared with what: each scenario starts servers, asks the driver in alternation and puts figures side by side."""

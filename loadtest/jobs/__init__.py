"""What the driver does in its own process. Each job takes a plan (plain data), talks to one server and returns figures
(plain data); who is asked to do what, and how figures are put side by side, is the scenarios' business."""

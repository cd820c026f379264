// What runs elsewhere is offered by pages that come from elsewhere, and not by those that were opened as files.
document.documentElement.classList.toggle("served", location.protocol.startsWith("http"));

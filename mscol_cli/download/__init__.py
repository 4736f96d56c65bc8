"""`mscol download`: public data sets and weights, downloaded, verified and unpacked."""

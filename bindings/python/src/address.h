// Numeric addresses: ("10.0.0.1", 80) in Python.
#ifndef FASTCONTAINER_BINDINGS_PYTHON_SRC_ADDRESS_H_
#define FASTCONTAINER_BINDINGS_PYTHON_SRC_ADDRESS_H_

#include <pybind11/pybind11.h>
#include <sys/socket.h>

#include <string>

namespace fastcontainer::python {

struct Address {
  sockaddr_storage storage{};
  uint32_t length = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

// Raises ValueError for what is no numeric IPv4 or IPv6 address.
Address ParseAddress(const std::string& host, int port);
Address CopyAddress(const sockaddr* address, uint32_t length);
// (host, port)
pybind11::tuple ToPython(const Address& address);

}  // namespace fastcontainer::python

#endif  // FASTCONTAINER_BINDINGS_PYTHON_SRC_ADDRESS_H_

#include "bindings/python/src/address.h"

#include <netdb.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>

namespace fastcontainer::python {

namespace py = pybind11;

Address ParseAddress(const std::string& host, int port) {
  if (port < 0 || port > 65535)
    throw py::value_error("port " + std::to_string(port) + ": accepted are 0 to 65535");
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found) != 0)
    throw py::value_error("\"" + host + "\" is no numeric address; accepted are IPv4 and IPv6");
  Address address = CopyAddress(found->ai_addr, found->ai_addrlen);
  freeaddrinfo(found);
  return address;
}

Address CopyAddress(const sockaddr* from, uint32_t length) {
  Address address;
  if (from == nullptr) return address;
  address.length = std::min<uint32_t>(length, sizeof(address.storage));
  std::memcpy(&address.storage, from, address.length);
  return address;
}

py::tuple ToPython(const Address& address) {
  char host[NI_MAXHOST] = "";
  char port[NI_MAXSERV] = "0";
  getnameinfo(address.get(), address.length, host, sizeof(host), port, sizeof(port),
              NI_NUMERICHOST | NI_NUMERICSERV);
  return py::make_tuple(py::str(host), py::int_(std::stoi(port)));
}

}  // namespace fastcontainer::python

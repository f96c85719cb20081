// An IPv4 or IPv6 address with a port, as a value of 20 bytes.
#ifndef FASTCONTAINER_ADDRESS_H_
#define FASTCONTAINER_ADDRESS_H_

#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace fastcontainer {

struct Address {
  uint16_t family = 0;           // AF_INET, AF_INET6, or 0 for "none"
  uint16_t port = 0;             // host byte order
  std::array<uint8_t, 16> ip{};  // network byte order; IPv4 uses the first four

  bool operator==(const Address&) const = default;
  auto operator<=>(const Address&) const = default;
  explicit operator bool() const { return family != 0; }

  // Numeric addresses only: "10.0.0.1", "::1", "10.0.0.1:80", "[::1]:80". No name is looked up.
  static absl::StatusOr<Address> Parse(std::string_view text);
  static Address FromSockaddr(const sockaddr* address);
  // Writes the socket address and returns its length; 0 if there is none.
  socklen_t ToSockaddr(sockaddr_storage* out) const;
  // "10.0.0.1:80", "[::1]:80"; without ":port" if the port is 0.
  std::string ToString() const;
  Address WithPort(uint16_t new_port) const;
  bool IsLoopback() const;
  bool IsAny() const;

  template <typename H>
  friend H AbslHashValue(H h, const Address& a) {
    return H::combine(std::move(h), a.family, a.port, a.ip);
  }
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_ADDRESS_H_

// Addresses of clients: how they are written, and which of them are believed.
#ifndef FASTCONTAINER_EXAMPLES_PROXY_ADDRESS_H_
#define FASTCONTAINER_EXAMPLES_PROXY_ADDRESS_H_

#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace proxy {

// "192.0.2.1", "2001:db8::1"; an IPv4 address within IPv6 as IPv4. Not an address: "unknown".
std::string FormatHost(const sockaddr_storage& address);

// The proxies in front of this one, which say of their clients where they come from.
class AddressSet {
 public:
  // "192.0.2.0/24", "2001:db8::/32", or one address. False if it is neither, or has bits behind its prefix.
  bool Add(const std::string& text);
  bool Contains(const sockaddr_storage& address) const;
  bool empty() const { return ranges_.empty(); }

 private:
  using Bytes = std::array<uint8_t, 16>;  // IPv4 as IPv6 maps it
  struct Range {
    Bytes bytes;
    unsigned bits;
  };

  static bool Map(const sockaddr_storage& address, Bytes* bytes);

  std::vector<Range> ranges_;
};

}  // namespace proxy

#endif  // FASTCONTAINER_EXAMPLES_PROXY_ADDRESS_H_

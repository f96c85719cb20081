#include "examples/proxy/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <charconv>
#include <cstring>

namespace proxy {

namespace {

constexpr unsigned kMappedBits = 96;
constexpr std::array<uint8_t, 12> kMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool EqualBits(const std::array<uint8_t, 16>& a, const std::array<uint8_t, 16>& b, unsigned bits) {
  if (std::memcmp(a.data(), b.data(), bits / 8) != 0) return false;
  if (bits % 8 == 0) return true;
  return ((a[bits / 8] ^ b[bits / 8]) >> (8 - bits % 8)) == 0;
}

}  // namespace

bool AddressSet::Map(const sockaddr_storage& address, Bytes* bytes) {
  if (address.ss_family == AF_INET6) {
    std::memcpy(bytes->data(), &reinterpret_cast<const sockaddr_in6&>(address).sin6_addr, bytes->size());
    return true;
  }
  if (address.ss_family != AF_INET) return false;
  std::memcpy(bytes->data(), kMapped.data(), kMapped.size());
  std::memcpy(bytes->data() + kMapped.size(), &reinterpret_cast<const sockaddr_in&>(address).sin_addr, 4);
  return true;
}

bool AddressSet::Add(const std::string& text) {
  const size_t slash = text.find('/');
  const std::string host = text.substr(0, slash);
  sockaddr_storage address = {};
  unsigned offset = 0;
  if (inet_pton(AF_INET, host.c_str(), &reinterpret_cast<sockaddr_in&>(address).sin_addr) == 1) {
    address.ss_family = AF_INET;
    offset = kMappedBits;
  } else if (inet_pton(AF_INET6, host.c_str(), &reinterpret_cast<sockaddr_in6&>(address).sin6_addr) == 1) {
    address.ss_family = AF_INET6;
  } else {
    return false;
  }
  Range range = {{}, 128};
  Map(address, &range.bytes);
  if (slash != std::string::npos) {
    unsigned bits = 0;
    const char* end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data() + slash + 1, end, bits);
    if (parsed.ec != std::errc() || parsed.ptr != end || bits > 128 - offset) return false;
    range.bits = offset + bits;
  }
  Bytes rest = range.bytes;
  for (unsigned bit = 0; bit < range.bits; ++bit) rest[bit / 8] &= static_cast<uint8_t>(~(0x80 >> bit % 8));
  if (rest != Bytes{}) return false;
  ranges_.push_back(range);
  return true;
}

bool AddressSet::Contains(const sockaddr_storage& address) const {
  Bytes bytes;
  if (!Map(address, &bytes)) return false;
  for (const Range& range : ranges_) {
    if (EqualBits(bytes, range.bytes, range.bits)) return true;
  }
  return false;
}

std::string FormatHost(const sockaddr_storage& address) {
  char text[INET6_ADDRSTRLEN] = {};
  if (address.ss_family == AF_INET) {
    inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in&>(address).sin_addr, text, sizeof text);
    return text;
  }
  if (address.ss_family != AF_INET6) return "unknown";
  const in6_addr& v6 = reinterpret_cast<const sockaddr_in6&>(address).sin6_addr;
  const bool mapped = IN6_IS_ADDR_V4MAPPED(&v6) != 0;
  inet_ntop(mapped ? AF_INET : AF_INET6, v6.s6_addr + (mapped ? kMapped.size() : 0), text, sizeof text);
  return text;
}

}  // namespace proxy

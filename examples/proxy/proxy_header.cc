#include "examples/proxy/proxy_header.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>

namespace proxy {

namespace {

constexpr std::string_view kSignature("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr std::string_view kStart = "PROXY ";
constexpr size_t kFixed = 16;            // of version 2
constexpr size_t kMaxAfterFixed = 4096;  // addresses and TLVs; senders stay far below
constexpr size_t kMaxLine = 107;         // of version 1, with its CRLF

bool IsPort(std::string_view text) {
  if (text.empty() || text.size() > 5 || (text[0] == '0' && text.size() > 1)) return false;
  uint32_t port = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return false;
    port = port * 10 + static_cast<uint32_t>(c - '0');
  }
  return port <= 65535;
}

bool ParseHost(int family, std::string_view text, sockaddr_storage* address) {
  *address = {};
  void* bytes = family == AF_INET ? static_cast<void*>(&reinterpret_cast<sockaddr_in*>(address)->sin_addr)
                                  : static_cast<void*>(&reinterpret_cast<sockaddr_in6*>(address)->sin6_addr);
  address->ss_family = static_cast<sa_family_t>(family);
  return inet_pton(family, std::string(text).c_str(), bytes) == 1;
}

std::string_view NextWord(std::string_view* line) {
  const size_t space = line->find(' ');
  const std::string_view word = line->substr(0, space);
  line->remove_prefix(space == std::string_view::npos ? line->size() : space + 1);
  return word;
}

// Section 2.1, behind "PROXY "
bool ParseLine(std::string_view line, sockaddr_storage* source) {
  const std::string_view protocol = NextWord(&line);
  if (protocol == "UNKNOWN") return true;
  if (protocol != "TCP4" && protocol != "TCP6") return false;
  const int family = protocol == "TCP4" ? AF_INET : AF_INET6;
  sockaddr_storage destination;
  if (!ParseHost(family, NextWord(&line), source) || !ParseHost(family, NextWord(&line), &destination))
    return false;
  const std::string_view port = NextWord(&line);
  return IsPort(port) && IsPort(line);
}

Progress ReadVersion1(std::string_view data, ProxyHeader* header) {
  const size_t end = data.substr(0, kMaxLine).find("\r\n");
  if (end == std::string_view::npos) return data.size() < kMaxLine ? Progress::kMore : Progress::kBad;
  header->size = end + 2;
  return ParseLine(data.substr(kStart.size(), end - kStart.size()), &header->source) ? Progress::kDone
                                                                                     : Progress::kBad;
}

// Section 2.2. `addresses` is what the header declares behind its fixed part.
bool ParseAddresses(uint8_t family, std::string_view addresses, sockaddr_storage* source) {
  switch (family) {
    case 0x11:
      if (addresses.size() < 12) return false;
      source->ss_family = AF_INET;
      std::memcpy(&reinterpret_cast<sockaddr_in*>(source)->sin_addr, addresses.data(), 4);
      return true;
    case 0x21:
      if (addresses.size() < 36) return false;
      source->ss_family = AF_INET6;
      std::memcpy(&reinterpret_cast<sockaddr_in6*>(source)->sin6_addr, addresses.data(), 16);
      return true;
    case 0x00:  // not said; UDP and Unix sockets say nothing of use
    case 0x12:
    case 0x22:
    case 0x31:
    case 0x32:
      return true;
    default:
      return false;
  }
}

Progress ReadVersion2(std::string_view data, ProxyHeader* header) {
  if (data.size() < kFixed) return Progress::kMore;
  const auto byte = [data](size_t i) { return static_cast<uint8_t>(data[i]); };
  const size_t length = byte(14) * size_t{256} + byte(15);
  const unsigned command = byte(12) & 15u;
  if (byte(12) >> 4 != 2 || command > 1 || length > kMaxAfterFixed) return Progress::kBad;
  if (data.size() < kFixed + length) return Progress::kMore;
  header->size = kFixed + length;
  if (command == 0) return Progress::kDone;  // LOCAL: the balancer's own
  return ParseAddresses(byte(13), data.substr(kFixed, length), &header->source) ? Progress::kDone
                                                                                : Progress::kBad;
}

bool Begins(std::string_view data, std::string_view with) {
  const size_t size = std::min(data.size(), with.size());
  return data.substr(0, size) == with.substr(0, size);
}

}  // namespace

Progress ReadProxyHeader(std::string_view data, ProxyHeader* header) {
  *header = {};
  const bool first = Begins(data, kStart);
  if (!first && !Begins(data, kSignature)) return Progress::kBad;
  if (data.size() < kStart.size()) return Progress::kMore;
  return first ? ReadVersion1(data, header) : ReadVersion2(data, header);
}

}  // namespace proxy

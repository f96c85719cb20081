#include "fastcontainer/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cstring>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace fastcontainer {
namespace {

bool ParseIp(std::string_view text, Address* out) {
  char buffer[INET6_ADDRSTRLEN];
  if (text.size() >= sizeof(buffer)) return false;
  std::memcpy(buffer, text.data(), text.size());
  buffer[text.size()] = '\0';
  if (inet_pton(AF_INET, buffer, out->ip.data()) == 1) {
    out->family = AF_INET;
    return true;
  }
  if (inet_pton(AF_INET6, buffer, out->ip.data()) == 1) {
    out->family = AF_INET6;
    return true;
  }
  return false;
}

bool ParsePort(std::string_view text, uint16_t* out) {
  uint32_t port = 0;
  if (text.empty() || text.size() > 5 ||
      !absl::SimpleAtoi(absl::string_view(text.data(), text.size()), &port) || port > 65535)
    return false;
  *out = static_cast<uint16_t>(port);
  return true;
}

}  // namespace

absl::StatusOr<Address> Address::Parse(std::string_view text) {
  const auto error = [&] {
    return absl::InvalidArgumentError(
        absl::StrCat("'", std::string(text),
                     "' is not a numeric address: accepted are 10.0.0.1, 10.0.0.1:80, ::1 and [::1]:80"));
  };
  Address address;
  if (ParseIp(text, &address)) return address;
  std::string_view ip;
  std::string_view port;
  if (!text.empty() && text.front() == '[') {
    const size_t close = text.find("]:");
    if (close == std::string_view::npos) return error();
    ip = text.substr(1, close - 1);
    port = text.substr(close + 2);
  } else {
    const size_t colon = text.find(':');
    if (colon == std::string_view::npos) return error();
    ip = text.substr(0, colon);
    port = text.substr(colon + 1);
  }
  if (!ParseIp(ip, &address) || !ParsePort(port, &address.port)) return error();
  return address;
}

Address Address::FromSockaddr(const sockaddr* address) {
  Address out;
  if (address->sa_family == AF_INET) {
    sockaddr_in in{};
    std::memcpy(&in, address, sizeof(in));
    out.family = AF_INET;
    out.port = ntohs(in.sin_port);
    std::memcpy(out.ip.data(), &in.sin_addr, 4);
  } else if (address->sa_family == AF_INET6) {
    sockaddr_in6 in6{};
    std::memcpy(&in6, address, sizeof(in6));
    out.family = AF_INET6;
    out.port = ntohs(in6.sin6_port);
    std::memcpy(out.ip.data(), &in6.sin6_addr, 16);
  }
  return out;
}

socklen_t Address::ToSockaddr(sockaddr_storage* out) const {
  std::memset(out, 0, sizeof(*out));
  if (family == AF_INET) {
    auto* in = reinterpret_cast<sockaddr_in*>(out);
    in->sin_family = AF_INET;
    in->sin_port = htons(port);
    std::memcpy(&in->sin_addr, ip.data(), 4);
    return sizeof(*in);
  }
  if (family == AF_INET6) {
    auto* in6 = reinterpret_cast<sockaddr_in6*>(out);
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(port);
    std::memcpy(&in6->sin6_addr, ip.data(), 16);
    return sizeof(*in6);
  }
  return 0;
}

std::string Address::ToString() const {
  char buffer[INET6_ADDRSTRLEN];
  if (family == 0 || inet_ntop(family, ip.data(), buffer, sizeof(buffer)) == nullptr) return "none";
  if (port == 0) return buffer;
  return family == AF_INET6 ? absl::StrCat("[", buffer, "]:", port) : absl::StrCat(buffer, ":", port);
}

Address Address::WithPort(uint16_t new_port) const {
  Address out = *this;
  out.port = new_port;
  return out;
}

bool Address::IsLoopback() const {
  if (family == AF_INET) return ip[0] == 127;
  static constexpr std::array<uint8_t, 16> kLoopback6 = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  return family == AF_INET6 && ip == kLoopback6;
}

bool Address::IsAny() const { return family != 0 && ip == std::array<uint8_t, 16>{}; }

}  // namespace fastcontainer

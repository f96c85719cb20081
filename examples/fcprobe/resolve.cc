#include <netdb.h>
#include <netinet/in.h>

#include <cstring>

#include "examples/fcprobe/targets.h"

namespace fcprobe {
namespace {

int FamilyWanted(const Options& options) {
  if (options.family != AF_UNSPEC || options.source.empty()) return options.family;
  return options.source.find(':') == std::string::npos ? AF_INET : AF_INET6;
}

std::string NameOf(const sockaddr_storage& host, socklen_t length, int flags) {
  char name[NI_MAXHOST];
  const auto* const any = reinterpret_cast<const sockaddr*>(&host);
  if (getnameinfo(any, length, name, sizeof(name), nullptr, 0, flags) != 0) return "";
  return name;
}

std::string Display(const Options& options, const std::string& given, const Target& target) {
  const bool numeric = given == target.address;
  std::string name = given;
  if (options.names && numeric) name = NameOf(target.host, target.length, NI_NAMEREQD);
  if (name.empty()) name = target.address;
  if (options.addresses) name = options.names ? name + " (" + target.address + ")" : target.address;
  if (target.port == 0) return name;
  const bool bracket = name.find(':') != std::string::npos;
  return (bracket ? "[" + name + "]" : name) + ":" + std::to_string(target.port);
}

void SetPort(Target* target) {
  const uint16_t port = htons(target->port);
  if (target->host.ss_family == AF_INET) {
    reinterpret_cast<sockaddr_in*>(&target->host)->sin_port = port;
  } else {
    reinterpret_cast<sockaddr_in6*>(&target->host)->sin6_port = port;
  }
}

}  // namespace

std::string Resolve(const Options& options, const std::string& word, Target* out) {
  HostPort given;
  out->word = out->display = word;
  if (std::string why = SplitTarget(word, &given); !why.empty()) return why;
  const bool icmp_only =
      options.mechanism == FC_PROBE_ICMP_DATAGRAM || options.mechanism == FC_PROBE_ICMP_RAW;
  if (icmp_only && given.port != 0) return "ICMP has no ports";
  out->port = given.port != 0 ? given.port : static_cast<uint16_t>(options.port);
  if (NeedsPort(options.mechanism) && out->port == 0)
    return "TCP and UDP need a port: HOST:PORT, [V6]:PORT, or --port for all";
  addrinfo hints = {};
  hints.ai_family = FamilyWanted(options);
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* found = nullptr;
  if (const int failed = getaddrinfo(given.host.c_str(), nullptr, &hints, &found); failed != 0)
    return gai_strerror(failed);
  memcpy(&out->host, found->ai_addr, found->ai_addrlen);
  out->length = found->ai_addrlen;
  freeaddrinfo(found);
  out->address = NameOf(out->host, out->length, NI_NUMERICHOST);
  SetPort(out);
  out->display = Display(options, given.host, *out);
  return "";
}

}  // namespace fcprobe

#include "examples/proxy/origin.h"

#include "examples/proxy/header_check.h"

namespace proxy {

void Origin::Reset(const Peer& peer) {
  peer_ = peer.name;
  trusted_ = peer.trusted;
  for_.clear();
  forwarded_.clear();
  proto_.clear();
  host_.clear();
}

bool Origin::Take(std::string_view name, std::string_view value) {
  constexpr std::string_view kPrefix = "x-forwarded-";
  if (NamesField(name, "forwarded")) {
    if (trusted_) forwarded_.append(value).append(", ");
    return true;
  }
  if (!NamesField(name.substr(0, kPrefix.size()), kPrefix)) return !trusted_ && NamesField(name, "x-real-ip");
  if (!trusted_) return true;
  const std::string_view what = name.substr(kPrefix.size());
  if (NamesField(what, "for")) {
    for_.append(value).append(", ");
  } else if (NamesField(what, "proto")) {
    if (EqualsIgnoringCase(value, "https")) proto_ = "https";
  } else if (NamesField(what, "host")) {
    if (ValidAuthority(value)) host_ = value;
  } else {
    return false;
  }
  return true;
}

void Origin::Append(std::string_view authority, std::string* wire) const {
  wire->append("X-Forwarded-For: ").append(for_).append(peer_);
  wire->append("\r\nX-Forwarded-Proto: ").append(proto_.empty() ? "http" : proto_);
  wire->append("\r\nX-Forwarded-Host: ").append(host_.empty() ? authority : std::string_view(host_));
  wire->append("\r\n");
  if (forwarded_.empty()) return;
  // RFC 7239 section 6: an IPv6 address stands in brackets and quotes.
  const bool v6 = peer_.find(':') != std::string::npos;
  wire->append("Forwarded: ").append(forwarded_).append(v6 ? "for=\"[" : "for=");
  wire->append(peer_).append(v6 ? "]\"\r\n" : "\r\n");
}

}  // namespace proxy

#include "examples/proxy/request.h"

#include <algorithm>

namespace proxy {

namespace {

// RFC 9110 section 9.2.2
bool IsIdempotent(std::string_view method) {
  for (const std::string_view known : {"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"}) {
    if (method == known) return true;
  }
  return false;
}

bool CountsForwards(const Head& head) {
  return head.max_forwards && (head.method == "OPTIONS" || head.method == "TRACE");
}

// Hop-by-hop, or generated anew, or (Proxy) an attack on CGI programs.
bool IsDropped(http::field field, std::string_view name) {
  switch (field) {
    case http::field::connection:
    case http::field::content_length:
    case http::field::expect:
    case http::field::host:
    case http::field::keep_alive:
    case http::field::proxy_authorization:
    case http::field::proxy_connection:
    case http::field::te:
    case http::field::trailer:
    case http::field::transfer_encoding:
    case http::field::upgrade:
      return true;
    case http::field::unknown:
      return NamesField(name, "proxy") || NamesField(name, "http2-settings");
    default:
      return false;
  }
}

}  // namespace

int SplitTarget(const Head& head, RequestTarget* result) {
  const std::string_view target = head.target;
  *result = {head.host, target, {}};
  if (head.method == "CONNECT") return 501;
  if (head.method == "TRACE" && (head.chunked || head.length != 0)) return 400;  // RFC 9110 section 9.3.8
  if (target[0] == '/') return 0;
  if (target == "*") return head.method == "OPTIONS" ? 0 : 400;
  constexpr std::string_view kScheme = "http://";
  if (!EqualsIgnoringCase(target.substr(0, kScheme.size()), kScheme)) return 400;
  const std::string_view rest = target.substr(kScheme.size());
  const size_t end = std::min(rest.find_first_of("/?"), rest.size());
  // RFC 9112 section 3.2.2: the target wins over Host.
  result->authority = rest.substr(0, end);
  result->path = rest.substr(end);
  if (result->path.empty()) {
    result->prefix = head.method == "OPTIONS" ? "*" : "/";
  } else if (result->path[0] == '?') {
    result->prefix = "/";
  }
  return ValidAuthority(result->authority) ? 0 : 400;
}

void RequestParser::on_request_impl(http::verb, boost::beast::string_view method, boost::beast::string_view,
                                    int, boost::beast::error_code& error) {
  error = {};
  wire_->append(View(method)).append(1, ' ').append(target_.prefix).append(target_.path);
  wire_->append(" HTTP/1.1\r\nHost: ").append(target_.authority).append("\r\n");
}

void RequestParser::on_field_impl(http::field field, boost::beast::string_view name,
                                  boost::beast::string_view value, boost::beast::error_code& error) {
  error = {};
  if (IsDropped(field, View(name))) return;
  if (field == http::field::max_forwards && CountsForwards(head_)) {
    wire_->append("Max-Forwards: ").append(std::to_string(*head_.max_forwards - 1)).append("\r\n");
    return;
  }
  if (head_.named_count != 0 && head_.Names(View(name))) return;
  asks_for_part_ |= field == http::field::range || field == http::field::if_range;
  if ((field == http::field::unknown || field == http::field::forwarded) &&
      origin_->Take(View(name), View(value))) {
    return;
  }
  wire_->append(View(name)).append(": ").append(View(value)).append("\r\n");
}

bool Request::SetKey(std::string_view authority) {
  if (authority.starts_with('[')) {
    authority = authority.substr(0, authority.find(']') + 1);
  } else {
    authority = authority.substr(0, authority.find(':'));
  }
  if (authority.ends_with('.')) authority.remove_suffix(1);
  if (authority.size() > key_.size()) return false;
  std::transform(authority.begin(), authority.end(), key_.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
  key_length_ = authority.size();
  return true;
}

void Request::Reset() {
  parser_.reset();
  key_length_ = 0;
  minor_ = 1;
  is_head_ = is_get_ = idempotent_ = persistent_ = expects_continue_ = takes_trailers_ = false;
  upgrade_.clear();
}

void Request::AppendConnection(std::string* wire) const {
  if (takes_trailers_) {
    wire->append(upgrade_.empty() ? "Connection: TE\r\nTE: trailers\r\n"
                                  : "Connection: TE, upgrade\r\nTE: trailers\r\n");
  } else if (!upgrade_.empty()) {
    wire->append("Connection: upgrade\r\n");
  }
  if (!upgrade_.empty()) wire->append("Upgrade: ").append(upgrade_).append("\r\n");
  if (expects_continue_) wire->append("Expect: 100-continue\r\n");
}

int Request::Begin(std::string_view block, const Head& head, const Peer& peer, std::string* wire) {
  Reset();
  origin_.Reset(peer);
  minor_ = head.minor;
  is_head_ = head.method == "HEAD";
  is_get_ = head.method == "GET";
  idempotent_ = IsIdempotent(head.method);
  persistent_ = head.Persistent();
  upgrade_ = head.Upgrade();
  expects_continue_ = head.expects_continue && head.minor == 1 && (head.chunked || head.length != 0);
  takes_trailers_ = head.te_trailers && head.minor == 1 && head.Names("te");
  // RFC 9110 section 7.6.2: the proxy is the end of the way. It knows no TRACE.
  if (CountsForwards(head) && *head.max_forwards == 0) return head.method == "OPTIONS" ? 200 : 501;
  RequestTarget target;
  if (const int status = SplitTarget(head, &target)) return status;
  if (!SetKey(target.authority)) return 400;
  parser_.emplace(head, target, wire, &origin_);
  if (!parser_->PutHead(block)) return 400;
  wire->append(minor_ == 1 ? "Via: 1.1 fc-proxy\r\n" : "Via: 1.0 fc-proxy\r\n");
  origin_.Append(target.authority, wire);
  AppendConnection(wire);
  if (head.chunked) {
    wire->append("Transfer-Encoding: chunked\r\n");
  } else if (head.has_length) {
    char digits[20];
    const char* end = std::to_chars(digits, digits + sizeof digits, head.length).ptr;
    wire->append("Content-Length: ").append(digits, static_cast<size_t>(end - digits)).append("\r\n");
  }
  wire->append("\r\n");
  return 0;
}

}  // namespace proxy

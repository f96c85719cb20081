// The client's request on its way to the container: bytes in, bytes out, no input or output of its own.
#ifndef FASTCONTAINER_EXAMPLES_PROXY_REQUEST_H_
#define FASTCONTAINER_EXAMPLES_PROXY_REQUEST_H_

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "examples/proxy/header_check.h"
#include "examples/proxy/origin.h"
#include "examples/proxy/parser.h"

namespace proxy {

// Where the request goes: RFC 9112 section 3.2.
struct RequestTarget {
  std::string_view authority;  // from the target if it is absolute, else from Host
  std::string_view path;       // as it is forwarded
  std::string_view prefix;     // "/" if the path needs one
};
// 0, or the status to answer with.
int SplitTarget(const Head& head, RequestTarget* result);

// Fields behind the body are not forwarded: servers that merge them into the head have been talked into much.
class RequestParser final : public MessageParser<true> {
 public:
  RequestParser(const Head& head, const RequestTarget& target, std::string* wire, Origin* origin)
      : head_(head), target_(target), wire_(wire), origin_(origin) {
    SendChunked(head.chunked);
  }

  bool asks_for_part() const { return asks_for_part_; }

 private:
  void on_request_impl(http::verb, boost::beast::string_view method, boost::beast::string_view target,
                       int version, boost::beast::error_code& error) override;
  void on_response_impl(int, boost::beast::string_view, int, boost::beast::error_code&) override {}
  void on_field_impl(http::field field, boost::beast::string_view name, boost::beast::string_view value,
                     boost::beast::error_code& error) override;

  const Head& head_;  // both are used while the head is parsed only
  const RequestTarget& target_;
  std::string* wire_;
  Origin* origin_;
  bool asks_for_part_ = false;
};

class Request {
 public:
  void Reset();
  // Appends the head to be sent to *wire. 0, or the status to answer with. `head` is what the check of
  // `block` found.
  int Begin(std::string_view block, const Head& head, const Peer& peer, std::string* wire);
  // Takes what belongs to the body from the front of *data.
  Progress Feed(std::string_view* data, Output* out) { return parser_->PutBody(data, out); }
  bool complete() const { return parser_ && parser_->done(); }
  uint64_t body_bytes() const { return parser_ ? parser_->body_bytes() : 0; }

  // The host name in lower case, without port and final dot; empty: the request names none.
  std::string_view key() const { return {key_.data(), key_length_}; }
  bool is_head() const { return is_head_; }
  bool idempotent() const { return idempotent_; }
  // It asks for a whole representation, and for nothing else: what is missing of it may be asked for by a
  // Range.
  bool resumable() const {
    return is_get_ && complete() && body_bytes() == 0 && upgrade_.empty() && !parser_->asks_for_part();
  }
  bool persistent() const { return persistent_; }
  // The protocol that the request asks to go on with; empty: none. Used until the next Begin().
  std::string_view upgrade() const { return upgrade_; }
  bool takes_trailers() const { return takes_trailers_; }
  bool expects_continue() const { return expects_continue_; }
  int minor() const { return minor_; }

 private:
  void AppendConnection(std::string* wire) const;
  bool SetKey(std::string_view authority);

  std::optional<RequestParser> parser_;
  Origin origin_;
  std::string upgrade_;
  std::array<char, 256> key_;
  size_t key_length_ = 0;
  int minor_ = 1;
  bool is_head_ = false;
  bool is_get_ = false;
  bool idempotent_ = false;
  bool persistent_ = false;
  bool expects_continue_ = false;
  bool takes_trailers_ = false;
};

}  // namespace proxy

#endif  // FASTCONTAINER_EXAMPLES_PROXY_REQUEST_H_

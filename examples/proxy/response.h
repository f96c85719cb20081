// The container's response on its way to the client: bytes in, bytes out, no input or output of its own.
#ifndef FASTCONTAINER_EXAMPLES_PROXY_RESPONSE_H_
#define FASTCONTAINER_EXAMPLES_PROXY_RESPONSE_H_

#include <optional>
#include <string>
#include <string_view>

#include "examples/proxy/header_check.h"
#include "examples/proxy/parser.h"

namespace proxy {

// What the request says about its response.
struct ResponseTo {
  bool is_head = false;
  int minor = 1;
  bool keep_alive = true;         // what the client wants, and the proxy too
  bool wants_continue = false;    // has not sent its body yet, and says that it waits
  bool trailers = false;          // takes fields after the body
  std::string_view date = {};     // now; added where the container says none
  std::string_view upgrade = {};  // to what it may switch; empty: nothing
};

// What tells which part of which representation a body is (RFC 9110 section 14).
struct Part {
  std::string etag;
  std::string content_range;
};

class ResponseParser final : public MessageParser<false> {
 public:
  ResponseParser(const Head& head, const ResponseTo& to, std::string* text, Part* part);
  bool has_date() const { return has_date_; }

 private:
  void OnTrailer(std::string_view name, std::string_view value) override;
  void on_request_impl(http::verb, boost::beast::string_view, boost::beast::string_view, int,
                       boost::beast::error_code&) override {}
  void on_response_impl(int status, boost::beast::string_view reason, int version,
                        boost::beast::error_code& error) override;
  void on_field_impl(http::field field, boost::beast::string_view name, boost::beast::string_view value,
                     boost::beast::error_code& error) override;

  const Head& head_;  // these are used while the head is parsed only
  std::string* text_;
  Part* part_;
  bool trailers_;  // they are forwarded
  bool has_date_ = false;
};

class Response {
 public:
  void Begin(const ResponseTo& to);
  // Whether the client has sent its request whole; to be said before its response is fed.
  void set_request_complete(bool complete) { request_complete_ = complete; }
  // What is to be sent to the client is appended to *out; it stays valid until the next call if `data` does.
  Progress Feed(std::string_view data, Output* out);
  // After kSwitched: what has come behind the head, as long as *out is valid.
  std::string_view rest() const { return rest_; }
  // The container has closed the connection.
  Progress End(Output* out);

  bool received() const { return received_; }  // a byte has come
  bool begun() const { return begun_; }        // the head has been forwarded
  int status() const { return status_; }
  uint64_t body_bytes() const { return before_ + (parser_ ? parser_->body_bytes() : 0); }

  // A response that breaks off can go on from another server if its length and a strong validator are known.
  // BeginRest() appends to *wire the fields of the request for what is missing; that server's answer is what
  // is fed next.
  bool resumable() const;
  void BeginRest(std::string* wire);
  // After kDone: may the connection be used again?
  bool client_persistent() const { return client_persistent_; }
  bool upstream_persistent() const { return upstream_persistent_; }
  const KeepAlive& upstream_limits() const { return upstream_limits_; }

 private:
  Progress FeedHead(std::string_view* data, Output* out);
  bool Interim(std::string_view block, const Head& head, Output* out);
  bool Put(std::string_view block, const Head& head, std::string* text);
  bool Start(std::string_view block, const Head& head, Output* out);
  bool Switch(std::string_view block, const Head& head, Output* out);
  // True if what follows is exactly what is missing.
  bool StartRest(std::string_view block, const Head& head);

  ResponseTo to_;
  HeadScan scan_;
  std::optional<ResponseParser> parser_;
  std::string held_;      // an incomplete head or chunk header
  size_t held_used_ = 0;  // of held_; removed with the next call, because *out may point there
  std::string_view rest_;
  int status_ = 0;
  Part part_;
  uint64_t length_ = 0;  // of the whole body, if its head said so
  uint64_t before_ = 0;  // of it, from servers that broke off
  bool has_length_ = false;
  bool begun_ = false;
  bool received_ = false;
  int interim_ = 0;  // heads of 1xx
  bool request_complete_ = true;
  KeepAlive upstream_limits_;
  bool client_persistent_ = false;
  bool upstream_persistent_ = false;
};

}  // namespace proxy

#endif  // FASTCONTAINER_EXAMPLES_PROXY_RESPONSE_H_

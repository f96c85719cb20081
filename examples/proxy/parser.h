// Boost.Beast's parser as both directions use it: it stores nothing, and what it finds is written straight to
// the output.
#ifndef FASTCONTAINER_EXAMPLES_PROXY_PARSER_H_
#define FASTCONTAINER_EXAMPLES_PROXY_PARSER_H_

#include <boost/beast/http/basic_parser.hpp>
#include <charconv>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "examples/proxy/output.h"

namespace proxy {

namespace http = boost::beast::http;

inline std::string_view View(boost::beast::string_view text) { return {text.data(), text.size()}; }

// Parses one message. Derived classes write the head; the body's framing is generated here.
template <bool kIsRequest>
class MessageParser : public http::basic_parser<kIsRequest> {
 public:
  MessageParser() {
    // The head was measured before. A body limit of "none" compares as less than any length in Beast 1.74.
    this->header_limit(std::numeric_limits<uint32_t>::max());
    this->body_limit(std::numeric_limits<uint64_t>::max());
  }

  // `block` is a whole header block that passed the check.
  bool PutHead(std::string_view block) {
    boost::beast::error_code error;
    const size_t used = this->put({block.data(), block.size()}, error);
    this->eager(true);
    return !error && used == block.size() && this->is_header_done();
  }

  // Takes what it can from the front of *data.
  Progress PutBody(std::string_view* data, Output* out) {
    if (this->is_done()) return Progress::kDone;
    if (data->empty()) return Progress::kMore;
    // Beast 1.74 asserts that it sees no less of a chunk's header a second time.
    if (this->chunked() && chunk_left_ == 0 && data->size() < kLeastChunkHeader) return Progress::kMore;
    out_ = out;
    boost::beast::error_code error;
    data->remove_prefix(this->put({data->data(), data->size()}, error));
    if (error && error != http::error::need_more) return Progress::kBad;
    return this->is_done() ? Progress::kDone : Progress::kMore;
  }

  // The sender has closed the connection.
  Progress PutEnd(Output* out) {
    out_ = out;
    boost::beast::error_code error;
    this->put_eof(error);
    return error || !this->is_done() ? Progress::kBad : Progress::kDone;
  }

  uint64_t body_bytes() const { return body_bytes_; }

 protected:
  void SendChunked(bool chunked) { send_chunked_ = chunked; }
  bool after_head() const { return after_head_; }
  // What a chunked body has besides its content must not be much more than that (CVE-2023-39326 and the
  // like).
  void CountOverhead(size_t size, boost::beast::error_code* error) {
    overhead_ += size;
    if (overhead_ > kMaxOverhead + body_bytes_) *error = http::error::header_limit;
  }
  // A field to follow the body.
  void AddTrailer(std::string_view name, std::string_view value) {
    trailers_.append(name).append(": ").append(value).append("\r\n");
  }

 private:
  using Error = boost::beast::error_code;
  using Text = boost::beast::string_view;

  void on_header_impl(Error& error) final {
    error = {};
    after_head_ = true;
  }
  void on_body_init_impl(boost::optional<uint64_t> const&, Error& error) final { error = {}; }
  size_t on_body_impl(Text body, Error& error) final {
    error = {};
    Send(View(body));
    return body.size();
  }
  void on_chunk_header_impl(uint64_t size, Text extensions, Error& error) final {
    error = {};
    chunk_left_ = size;
    CountOverhead(extensions.size(), &error);
    // In quotes Beast reads on behind the end of the line, where others see the chunk.
    if (extensions.find_first_of("\r\n") != Text::npos) error = http::error::bad_chunk_extension;
  }
  size_t on_chunk_body_impl(uint64_t, Text body, Error& error) final {
    error = {};
    chunk_left_ -= body.size();
    Send(View(body));
    return body.size();
  }
  void on_finish_impl(Error& error) final {
    error = {};
    if (send_chunked_ && out_ != nullptr) out_->text().append("0\r\n").append(trailers_).append("\r\n");
  }

  void Send(std::string_view body) {
    if (body.empty()) return;
    body_bytes_ += body.size();
    if (!send_chunked_) return out_->Add(body);
    char line[18];
    char* end = std::to_chars(line, line + 16, body.size(), 16).ptr;
    *end++ = '\r';
    *end++ = '\n';
    out_->text().append(line, static_cast<size_t>(end - line));
    out_->Add(body);
    out_->text().append("\r\n");
  }

  static constexpr size_t kLeastChunkHeader = 5;  // 0, CRLF, CRLF
  static constexpr uint64_t kMaxOverhead = 16 * 1024;

  Output* out_ = nullptr;
  std::string trailers_;
  uint64_t body_bytes_ = 0;
  uint64_t chunk_left_ = 0;  // of the present one
  uint64_t overhead_ = 0;    // of chunk extensions and trailers
  bool send_chunked_ = false;
  bool after_head_ = false;
};

}  // namespace proxy

#endif  // FASTCONTAINER_EXAMPLES_PROXY_PARSER_H_

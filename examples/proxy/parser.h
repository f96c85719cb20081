// Boost.Beast's parser as both directions use it: it stores nothing, and what it finds is written straight to
// the output.
#ifndef FASTCONTAINER_EXAMPLES_PROXY_PARSER_H_
#define FASTCONTAINER_EXAMPLES_PROXY_PARSER_H_

#include <algorithm>
#include <boost/beast/http/basic_parser.hpp>
#include <charconv>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "examples/proxy/chunks.h"
#include "examples/proxy/header_check.h"
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

  // Takes what it can from the front of *data. What is left begins with the same byte next time.
  Progress PutBody(std::string_view* data, Output* out) {
    if (done()) return Progress::kDone;
    if (data->empty()) return Progress::kMore;
    out_ = out;
    // Not by Beast, whose extensions go on behind the end of a line if there is an open quote.
    if (this->chunked()) return PutChunks(data);
    boost::beast::error_code error;
    data->remove_prefix(this->put({data->data(), data->size()}, error));
    if (error && error != http::error::need_more) return Progress::kBad;
    return done() ? Progress::kDone : Progress::kMore;
  }

  // The sender has closed the connection.
  Progress PutEnd(Output* out) {
    out_ = out;
    if (this->chunked()) return done() ? Progress::kDone : Progress::kBad;
    boost::beast::error_code error;
    this->put_eof(error);
    return error || !done() ? Progress::kBad : Progress::kDone;
  }

  bool done() const { return chunks_done_ || this->is_done(); }
  uint64_t body_bytes() const { return body_bytes_; }

 protected:
  void SendChunked(bool chunked) { send_chunked_ = chunked; }
  // A field behind a chunked body. It may be sent on by AddTrailer().
  virtual void OnTrailer(std::string_view /*name*/, std::string_view /*value*/) {}
  void AddTrailer(std::string_view name, std::string_view value) {
    trailers_.append(name).append(": ").append(value).append("\r\n");
  }

 private:
  using Error = boost::beast::error_code;
  using Text = boost::beast::string_view;

  void on_header_impl(Error& error) final { error = {}; }
  void on_body_init_impl(boost::optional<uint64_t> const&, Error& error) final { error = {}; }
  size_t on_body_impl(Text body, Error& error) final {
    error = {};
    Send(View(body));
    return body.size();
  }
  void on_chunk_header_impl(uint64_t, Text, Error& error) final { error = http::error::bad_chunk; }
  size_t on_chunk_body_impl(uint64_t, Text, Error& error) final {
    error = http::error::bad_chunk;
    return 0;
  }
  void on_finish_impl(Error& error) final {
    error = {};
    if (out_ != nullptr) SendEnd();
  }

  Progress PutChunks(std::string_view* data) {
    while (true) {
      if (chunk_left_ > 0) {
        const std::string_view part = data->substr(0, std::min<uint64_t>(chunk_left_, data->size()));
        Send(part);
        chunk_left_ -= part.size();
        data->remove_prefix(part.size());
        if (chunk_left_ > 0) return Progress::kMore;
        line_due_ = true;
      }
      if (line_due_) {
        if (data->size() < 2)
          return data->empty() || data->front() == '\r' ? Progress::kMore : Progress::kBad;
        if (!data->starts_with("\r\n")) return Progress::kBad;
        data->remove_prefix(2);
        line_due_ = false;
      }
      if (in_trailers_) return PutTrailers(data);
      ChunkLine line;
      const Progress progress = ReadChunkLine(*data, &line);
      if (progress != Progress::kDone) return progress;
      data->remove_prefix(line.size);
      // What a body has besides its content must not be much more than that (CVE-2023-39326 and the like).
      overhead_ += line.size;
      if (overhead_ > kMaxOverhead + 16 * body_bytes_) return Progress::kBad;
      chunk_left_ = line.length;
      in_trailers_ = line.length == 0;
    }
  }

  Progress PutTrailers(std::string_view* data) {
    const auto found = scan_.Continue(*data);
    if (found == HeadScan::Result::kMore)
      return data->size() < kMaxOverhead ? Progress::kMore : Progress::kBad;
    if (found != HeadScan::Result::kComplete || scan_.size() > kMaxOverhead) return Progress::kBad;
    std::string_view block = data->substr(0, scan_.size());
    bool good = true;
    for (std::string_view name, value; NextTrailer(&block, &name, &value, &good);) OnTrailer(name, value);
    if (!good) return Progress::kBad;
    data->remove_prefix(scan_.size());
    chunks_done_ = true;
    SendEnd();
    return Progress::kDone;
  }

  void SendEnd() {
    if (send_chunked_) out_->text().append("0\r\n").append(trailers_).append("\r\n");
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

  static constexpr uint64_t kMaxOverhead = 16 * 1024;

  Output* out_ = nullptr;
  std::string trailers_;
  uint64_t body_bytes_ = 0;
  uint64_t chunk_left_ = 0;  // of the present one
  uint64_t overhead_ = 0;    // of chunk lines
  HeadScan scan_;            // of the trailers
  bool line_due_ = false;    // a chunk's data has come, and its CRLF has not
  bool in_trailers_ = false;
  bool chunks_done_ = false;
  bool send_chunked_ = false;
};

}  // namespace proxy

#endif  // FASTCONTAINER_EXAMPLES_PROXY_PARSER_H_

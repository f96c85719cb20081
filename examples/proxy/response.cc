#include "examples/proxy/response.h"

namespace proxy {

namespace {

// So many heads of 1xx, and a container that sends one more is broken.
constexpr int kMaxInterim = 100;

// Hop-by-hop, or generated anew.
bool IsDropped(http::field field) {
  switch (field) {
    case http::field::connection:
    case http::field::content_length:
    case http::field::keep_alive:
    case http::field::proxy_authenticate:
    case http::field::proxy_connection:
    case http::field::te:
    case http::field::trailer:
    case http::field::transfer_encoding:
    case http::field::upgrade:
      return true;
    default:
      return false;
  }
}

// RFC 9110 section 6.5.1: what decides framing, route, identity or meaning has no place after the body.
bool IsRefusedAsTrailer(http::field field) {
  switch (field) {
    case http::field::age:
    case http::field::authorization:
    case http::field::cache_control:
    case http::field::content_encoding:
    case http::field::content_range:
    case http::field::content_type:
    case http::field::date:
    case http::field::expires:
    case http::field::host:
    case http::field::location:
    case http::field::retry_after:
    case http::field::set_cookie:
    case http::field::vary:
    case http::field::warning:
    case http::field::www_authenticate:
      return true;
    default:
      return IsDropped(field);
  }
}

bool HasNoBody(const ResponseTo& to, int status) {
  return to.is_head || status < 200 || status == 204 || status == 304;
}

// An HTTP/1.0 client knows no chunks: the end of the connection is the end of the body.
bool SendsChunked(const Head& head, const ResponseTo& to) {
  return !head.has_length && to.minor == 1 && !HasNoBody(to, head.status);
}

}  // namespace

ResponseParser::ResponseParser(const Head& head, const ResponseTo& to, std::string* text, Part* part)
    : head_(head), text_(text), part_(part), trailers_(to.trailers) {
  skip(to.is_head);
  SendChunked(SendsChunked(head, to));
}

void ResponseParser::on_response_impl(int, boost::beast::string_view reason, int,
                                      boost::beast::error_code& error) {
  error = {};
  const char digits[4] = {static_cast<char>('0' + head_.status / 100),
                          static_cast<char>('0' + head_.status / 10 % 10),
                          static_cast<char>('0' + head_.status % 10), ' '};
  text_->append("HTTP/1.1 ").append(digits, 4).append(View(reason)).append("\r\n");
}

void ResponseParser::on_field_impl(http::field field, boost::beast::string_view name,
                                   boost::beast::string_view value, boost::beast::error_code& error) {
  error = {};
  has_date_ |= field == http::field::date;
  if (IsDropped(field) && !(trailers_ && field == http::field::trailer)) return;
  if (head_.named_count != 0 && head_.Names(View(name))) return;
  if (field == http::field::etag) part_->etag = View(value);
  if (field == http::field::content_range) part_->content_range = View(value);
  text_->append(View(name)).append(": ").append(View(value)).append("\r\n");
}

void ResponseParser::OnTrailer(std::string_view name, std::string_view value) {
  const http::field field = http::string_to_field({name.data(), name.size()});
  if (trailers_ && !IsRefusedAsTrailer(field)) AddTrailer(name, value);
}

void Response::Begin(const ResponseTo& to) {
  to_ = to;
  scan_.Reset();
  parser_.reset();
  held_.clear();
  held_used_ = 0;
  status_ = interim_ = 0;
  upstream_limits_ = {};
  before_ = 0;
  part_.etag.clear();
  has_length_ = begun_ = received_ = false;
}

bool Response::resumable() const {
  return begun_ && status_ == 200 && has_length_ && !to_.is_head && part_.etag.starts_with('"');
}

void Response::BeginRest(std::string* wire) {
  before_ = body_bytes();
  scan_.Reset();
  parser_.reset();
  held_.clear();
  held_used_ = 0;
  interim_ = 0;
  received_ = false;
  wire->append("Range: bytes=").append(std::to_string(before_)).append("-\r\nIf-Range: ").append(part_.etag);
  wire->append("\r\n");
}

bool Response::StartRest(std::string_view block, const Head& head) {
  std::string text;  // the client has its head
  Part part;
  parser_.emplace(head, to_, &text, &part);
  if (!parser_->PutHead(block)) return false;
  upstream_persistent_ = head.Persistent();
  upstream_limits_ = head.keep_alive_limits;
  const std::string range =
      "bytes " + std::to_string(before_) + "-" + std::to_string(length_ - 1) + "/" + std::to_string(length_);
  return head.status == 206 && head.has_length && head.length == length_ - before_ &&
         part.content_range == range && part.etag == part_.etag;
}

bool Response::Put(std::string_view block, const Head& head, std::string* text) {
  parser_.emplace(head, to_, text, &part_);
  begun_ = parser_->PutHead(block);
  if (begun_) {
    status_ = head.status;
  } else {
    parser_.reset();
  }
  return begun_;
}

bool Response::Start(std::string_view block, const Head& head, Output* out) {
  if (begun_) return StartRest(block, head);
  std::string& text = out->text();
  if (!Put(block, head, &text)) return false;
  has_length_ = head.has_length;
  length_ = head.length;
  const bool no_body = HasNoBody(to_, status_);
  // Answered before all was said: what is left may never come, or be taken for something else.
  client_persistent_ = to_.keep_alive && request_complete_ && (no_body || head.has_length || to_.minor == 1);
  upstream_persistent_ = head.Persistent();
  upstream_limits_ = head.keep_alive_limits;
  if (!parser_->has_date() && !to_.date.empty()) text.append("Date: ").append(to_.date).append("\r\n");
  if (head.has_length && status_ != 204) {
    char digits[20];
    const char* end = std::to_chars(digits, digits + sizeof digits, head.length).ptr;
    text.append("Content-Length: ").append(digits, static_cast<size_t>(end - digits)).append("\r\n");
  } else if (SendsChunked(head, to_)) {
    text.append("Transfer-Encoding: chunked\r\n");
  }
  if (!client_persistent_) {
    text.append("Connection: close\r\n");
  } else if (to_.minor == 0) {
    text.append("Connection: keep-alive\r\n");
  }
  text.append("\r\n");
  return true;
}

// Only to what the request asked for, else a container could make of any connection what it likes.
bool Response::Switch(std::string_view block, const Head& head, Output* out) {
  if (begun_ || to_.upgrade.empty() || !EqualsIgnoringCase(head.Upgrade(), to_.upgrade)) return false;
  std::string& text = out->text();
  if (!Put(block, head, &text)) return false;
  client_persistent_ = upstream_persistent_ = false;
  text.append("Connection: upgrade\r\nUpgrade: ").append(to_.upgrade).append("\r\n\r\n");
  return true;
}

// Forwarded where the client can know what it is (RFC 9110 section 15.2); 100 where it waits for it.
bool Response::Interim(std::string_view block, const Head& head, Output* out) {
  if (++interim_ > kMaxInterim) return false;
  if (begun_ || to_.minor == 0 || (head.status == 100 && !to_.wants_continue)) return true;
  std::string text;
  Part part;
  ResponseParser parser(head, to_, &text, &part);
  if (!parser.PutHead(block)) return false;
  out->text().append(text).append("\r\n");
  return true;
}

// Up to and with the final head.
Progress Response::FeedHead(std::string_view* data, Output* out) {
  while (true) {
    switch (scan_.Continue(*data)) {
      case HeadScan::Result::kMore:
        return Progress::kMore;
      case HeadScan::Result::kComplete:
        break;
      default:
        return Progress::kBad;
    }
    const std::string_view block = data->substr(0, scan_.size());
    Head head;
    if (CheckResponse(block, &head) != 0) return Progress::kBad;
    data->remove_prefix(scan_.size());
    scan_.Reset();
    if (head.status == 101) return Switch(block, head, out) ? Progress::kSwitched : Progress::kBad;
    if (head.status >= 200) return Start(block, head, out) ? Progress::kDone : Progress::kBad;
    if (!Interim(block, head, out)) return Progress::kBad;
  }
}

Progress Response::Feed(std::string_view data, Output* out) {
  received_ = true;
  const bool from_held = held_.size() > held_used_;
  held_.erase(0, held_used_);
  held_used_ = 0;
  if (from_held) {
    held_.append(data);
    data = held_;
  }
  const size_t size = data.size();
  Progress progress = parser_ ? Progress::kDone : FeedHead(&data, out);
  rest_ = data;
  if (progress == Progress::kSwitched) return progress;
  if (progress == Progress::kDone) progress = parser_->PutBody(&data, out);
  if (progress == Progress::kDone && !data.empty()) upstream_persistent_ = false;
  if (data.size() > kMaxHeadBytes) return Progress::kBad;
  if (from_held) {
    held_used_ = size - data.size();
  } else if (progress == Progress::kMore) {
    held_.assign(data);
  }
  return progress;
}

Progress Response::End(Output* out) {
  if (!parser_) return Progress::kBad;
  upstream_persistent_ = false;
  return parser_->PutEnd(out);
}

}  // namespace proxy

#include "tests/deployment/openloop_response.h"

#include <strings.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace openloop {

void Response::Reset() {
  part_ = Part::kHead;
  empty_ = true;
  persistent_ = true;
  status_ = 0;
  left_ = 0;
  body_bytes_ = 0;
  text_.clear();
  XXH3_64bits_reset(&digest_);
}

bool Response::Feed(const char* data, size_t size) {
  if (size > 0) empty_ = false;
  while (size > 0 && part_ != Part::kDone) {
    const size_t taken = Take(data, size);
    data += taken;
    size -= taken;
  }
  return part_ == Part::kDone;
}

bool Response::Closed() {
  if (part_ == Part::kUntilClosed) part_ = Part::kDone;
  return part_ == Part::kDone;
}

size_t Response::Take(const char* data, size_t size) {
  switch (part_) {
    case Part::kLength:
    case Part::kUntilClosed:
    case Part::kChunk:
      return TakeBody(data, size);
    default:
      return TakeLine(data, size);
  }
}

size_t Response::TakeBody(const char* data, size_t size) {
  const size_t taken = part_ == Part::kUntilClosed ? size : std::min<uint64_t>(size, left_);
  XXH3_64bits_update(&digest_, data, taken);
  body_bytes_ += taken;
  left_ -= taken;
  if (left_ == 0 && part_ == Part::kLength) part_ = Part::kDone;
  if (left_ == 0 && part_ == Part::kChunk) part_ = Part::kChunkEnd;
  return taken;
}

size_t Response::TakeLine(const char* data, size_t size) {
  const auto* end = static_cast<const char*>(memchr(data, '\n', size));
  const size_t taken = end == nullptr ? size : static_cast<size_t>(end - data) + 1;
  text_.append(data, taken);
  if (end != nullptr) EndLine();
  return taken;
}

void Response::EndLine() {
  switch (part_) {
    case Part::kHead:
      if (text_.size() < 4 || text_.compare(text_.size() - 4, 4, "\r\n\r\n") != 0) return;
      ParseHead();
      break;
    case Part::kChunkSize:
      left_ = strtoull(text_.c_str(), nullptr, 16);
      part_ = left_ > 0 ? Part::kChunk : Part::kTrailer;
      break;
    case Part::kChunkEnd:
      part_ = Part::kChunkSize;
      break;
    default:  // the trailer: up to an empty line
      if (text_ == "\r\n") part_ = Part::kDone;
  }
  text_.clear();
}

void Response::ParseHead() {
  status_ = text_.size() > 12 ? atoi(text_.c_str() + 9) : 0;
  persistent_ = text_.compare(0, 8, "HTTP/1.1") == 0;
  if (status_ / 100 == 1 && status_ != 101) return;  // interim: the answer is still to come
  part_ = Part::kUntilClosed;
  for (size_t at = text_.find("\r\n"); at + 4 < text_.size(); at = text_.find("\r\n", at + 2)) {
    const char* line = text_.c_str() + at + 2;
    if (strncasecmp(line, "connection: close", 17) == 0) persistent_ = false;
    if (strncasecmp(line, "transfer-encoding: chunked", 26) == 0) part_ = Part::kChunkSize;
    if (strncasecmp(line, "content-length:", 15) == 0 && part_ != Part::kChunkSize) {
      left_ = strtoull(line + 15, nullptr, 10);
      part_ = left_ > 0 ? Part::kLength : Part::kDone;
    }
  }
  if (status_ == 204 || status_ == 304 || status_ == 101) part_ = Part::kDone;
  if (part_ == Part::kUntilClosed) persistent_ = false;
}

}  // namespace openloop

// The answer to one HTTP/1.1 request, read as it comes: its status, where it ends, and a digest of its body.
#ifndef FASTCONTAINER_TESTS_DEPLOYMENT_OPENLOOP_RESPONSE_H_
#define FASTCONTAINER_TESTS_DEPLOYMENT_OPENLOOP_RESPONSE_H_

#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>

#include <cstddef>
#include <cstdint>
#include <string>

namespace openloop {

class Response {
 public:
  void Reset();
  // Both true once the answer is complete.
  bool Feed(const char* data, size_t size);
  bool Closed();

  bool empty() const { return empty_; }
  // 0 until the header block is complete, and for what is no answer.
  int status() const { return status_; }
  // The connection may carry another request.
  bool persistent() const { return persistent_; }
  uint64_t body_bytes() const { return body_bytes_; }
  uint64_t digest() const { return XXH3_64bits_digest(&digest_); }

 private:
  enum class Part { kHead, kLength, kUntilClosed, kChunkSize, kChunk, kChunkEnd, kTrailer, kDone };
  void ParseHead();
  // Takes what it can of the data; how much.
  size_t Take(const char* data, size_t size);
  size_t TakeBody(const char* data, size_t size);
  size_t TakeLine(const char* data, size_t size);
  void EndLine();

  Part part_ = Part::kHead;
  bool empty_ = true;
  bool persistent_ = true;
  int status_ = 0;
  uint64_t left_ = 0;  // of the body or the chunk
  uint64_t body_bytes_ = 0;
  std::string text_;  // of the header block, or of a chunk's line
  XXH3_state_t digest_;
};

}  // namespace openloop

#endif  // FASTCONTAINER_TESTS_DEPLOYMENT_OPENLOOP_RESPONSE_H_

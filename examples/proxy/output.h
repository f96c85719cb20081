// What a step of a parser comes to, and what it wants to write: pieces that stay where they are, and small
// ones copied side by side, for one writev().
#ifndef FASTCONTAINER_EXAMPLES_PROXY_OUTPUT_H_
#define FASTCONTAINER_EXAMPLES_PROXY_OUTPUT_H_

#include <uv.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace proxy {

// How far a step of a parser has come. kSwitched: what follows belongs to another protocol.
enum class Progress { kMore, kDone, kBad, kSwitched };

class Output {
 public:
  // Text that is copied; append to it freely until the next call of another function.
  std::string& text() { return text_; }

  // Small pieces are copied: a longer copy is cheaper than one more entry, and a body of tiny chunks stays
  // one entry.
  void Add(std::string_view piece) {
    if (piece.size() <= kCopied) {
      text_.append(piece);
      return;
    }
    CloseText();
    parts_.push_back({piece.data(), piece.size()});
    size_ += piece.size();
  }

  bool empty() const { return text_.empty() && parts_.empty(); }
  size_t size() const { return size_ + text_.size() - text_used_; }

  // Valid until the next change.
  const std::vector<uv_buf_t>& Buffers() {
    CloseText();
    buffers_.clear();
    size_t at = 0;
    for (const Part& part : parts_) {
      const char* base = part.data;
      if (base == nullptr) {
        base = text_.data() + at;
        at += part.length;
      }
      // uv_buf_t has no const variant; nobody writes there.
      buffers_.push_back(uv_buf_init(const_cast<char*>(base), static_cast<unsigned>(part.length)));
    }
    return buffers_;
  }

  void Clear() {
    text_.clear();
    parts_.clear();
    text_used_ = 0;
    size_ = 0;
  }

 private:
  static constexpr size_t kCopied = 512;
  struct Part {
    const char* data;  // nullptr: the next `length` bytes of text_
    size_t length;
  };

  void CloseText() {
    if (text_.size() == text_used_) return;
    parts_.push_back({nullptr, text_.size() - text_used_});
    size_ += text_.size() - text_used_;
    text_used_ = text_.size();
  }

  std::string text_;
  size_t text_used_ = 0;
  size_t size_ = 0;
  std::vector<Part> parts_;
  std::vector<uv_buf_t> buffers_;
};

}  // namespace proxy

#endif  // FASTCONTAINER_EXAMPLES_PROXY_OUTPUT_H_

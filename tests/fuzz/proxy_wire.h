// What fc-proxy writes, read back without its parsers.
#ifndef FASTCONTAINER_TESTS_FUZZ_PROXY_WIRE_H_
#define FASTCONTAINER_TESTS_FUZZ_PROXY_WIRE_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "examples/proxy/output.h"
#include "tests/fuzz/check.h"

namespace proxy {

// Appends what `out` holds to *wire, and empties it.
inline void Take(Output* out, std::string* wire) {
  for (const uv_buf_t& buffer : out->Buffers()) wire->append(buffer.base, buffer.len);
  out->Clear();
}

inline bool Contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// The content of chunks in the one form in which the proxy writes them; *complete: the last one was there.
inline std::string Content(std::string_view chunks, bool* complete) {
  using fastcontainer::Check;
  std::string content;
  *complete = false;
  while (!chunks.empty() && !*complete) {
    const size_t end = chunks.find("\r\n");
    Check(end != std::string_view::npos && end > 0 && end <= 16, "a chunk begins with its size");
    size_t size = 0;
    for (const char c : chunks.substr(0, end)) {
      Check((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'), "the size is hexadecimal");
      size = size * 16 + static_cast<size_t>(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    chunks.remove_prefix(end + 2);
    *complete = size == 0;
    if (*complete) break;
    Check(chunks.size() >= size + 2 && chunks.substr(size, 2) == "\r\n", "a chunk is as long as it says");
    content.append(chunks.substr(0, size));
    chunks.remove_prefix(size + 2);
  }
  if (*complete) Check(chunks.ends_with("\r\n"), "the last chunk ends with an empty line");
  return content;
}

}  // namespace proxy

#endif  // FASTCONTAINER_TESTS_FUZZ_PROXY_WIRE_H_

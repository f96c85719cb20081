// The lines between the chunks of a body (RFC 9112 section 7.1), read as strictly as a head is: each ends
// with CRLF, and nothing in it reaches beyond.
#ifndef FASTCONTAINER_EXAMPLES_PROXY_CHUNKS_H_
#define FASTCONTAINER_EXAMPLES_PROXY_CHUNKS_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "examples/proxy/output.h"

namespace proxy {

constexpr size_t kMaxChunkLine = 4096;

struct ChunkLine {
  uint64_t length = 0;  // of the chunk; 0: the last
  size_t size = 0;      // of the line
};

// The line at the start of `data`.
Progress ReadChunkLine(std::string_view data, ChunkLine* line);

// Takes the next field of a trailer section that HeadScan has found the end of. False: there is none, and
// *good says whether all is well.
bool NextTrailer(std::string_view* block, std::string_view* name, std::string_view* value, bool* good);

}  // namespace proxy

#endif  // FASTCONTAINER_EXAMPLES_PROXY_CHUNKS_H_

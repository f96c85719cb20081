// The proxy's own answers: which status, and how it is called.
#ifndef FASTCONTAINER_EXAMPLES_PROXY_STATUS_H_
#define FASTCONTAINER_EXAMPLES_PROXY_STATUS_H_

#include <cstdint>
#include <string>
#include <string_view>

namespace proxy {

// What a code of the library (FC_E_) means to a client.
int StatusForCode(int32_t code);
const char* StatusText(int status);

struct OwnResponse {
  int status = 0;
  uint64_t retry_after_ns = 0;  // 503 only; rounded up to seconds, at least one
  bool is_head = false;
  bool keep_alive = false;
  int minor = 1;
  std::string_view date = {};
};
void AppendOwnResponse(const OwnResponse& response, std::string* text);

}  // namespace proxy

#endif  // FASTCONTAINER_EXAMPLES_PROXY_STATUS_H_

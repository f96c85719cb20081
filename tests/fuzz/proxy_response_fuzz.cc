// What containers send to fc-proxy, and what it makes of that for clients. The first byte says what the
// request was.
#include <algorithm>
#include <string>
#include <string_view>

#include "examples/proxy/header_check.h"
#include "examples/proxy/response.h"
#include "tests/fuzz/check.h"
#include "tests/fuzz/proxy_wire.h"

namespace proxy {
namespace {

using fastcontainer::Check;

struct Result {
  Progress progress = Progress::kMore;
  int status = 0;
  bool begun = false;
  bool client_persistent = false;
  std::string heads;    // those of 1xx, too
  std::string content;  // of the body, as the client reads it

  friend bool operator==(const Result&, const Result&) = default;
};

// Without the heads that say that more are to come.
std::string_view FinalHead(std::string_view wire, size_t* size) {
  while (true) {
    HeadScan scan;
    Check(scan.Continue(wire) == HeadScan::Result::kComplete, "a head is forwarded whole");
    Head head;
    const std::string_view block = wire.substr(0, scan.size());
    Check(CheckResponse(block, &head) == 0, "the head that is forwarded is as strict as one may ask");
    *size += scan.size();
    if (head.status >= 200 || head.status == 101) return block;
    wire.remove_prefix(scan.size());
  }
}

Result Run(std::string_view data, const ResponseTo& to, size_t step) {
  Result result;
  Response response;
  Output out;
  std::string wire;
  response.Begin(to);
  for (size_t at = 0; at < data.size() && result.progress == Progress::kMore; at += step) {
    const std::string_view part = data.substr(at, step);
    result.progress = response.Feed(part, &out);
    Take(&out, &wire);
  }
  if (result.progress == Progress::kMore) {
    result.progress = response.End(&out);
    Take(&out, &wire);
  }
  result.begun = response.begun();
  if (!result.begun || result.progress == Progress::kBad) return result;
  result.status = response.status();
  result.client_persistent = response.client_persistent();
  size_t size = 0;
  const std::string_view block = FinalHead(wire, &size);
  Head head;
  CheckResponse(block, &head);
  result.heads = wire.substr(0, size);
  const std::string_view body = std::string_view(wire).substr(size);
  bool last = true;
  result.content = head.chunked && !body.empty() ? Content(body, &last) : std::string(body);
  Check(last, "a response that is complete is seen to be");
  if (to.is_head) Check(body.empty(), "a response to HEAD has no body");
  if (result.progress == Progress::kDone && head.has_length && !to.is_head && result.status != 304) {
    Check(body.size() == head.length, "its length is the body's");
  }
  if (!head.chunked && !head.has_length && !body.empty()) {
    Check(!result.client_persistent, "a body without a length ends with the connection");
  }
  return result;
}

}  // namespace
}  // namespace proxy

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace proxy;
  if (size == 0 || size > 128 * 1024) return 0;
  ResponseTo to;
  to.is_head = (data[0] & 1) != 0;
  to.minor = (data[0] & 2) != 0 ? 0 : 1;
  to.keep_alive = (data[0] & 4) == 0;
  to.wants_continue = (data[0] & 8) != 0;
  to.trailers = (data[0] & 16) != 0;
  if ((data[0] & 32) != 0) to.upgrade = "websocket";
  const std::string_view bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  const Result whole = Run(bytes, to, std::max<size_t>(bytes.size(), 1));
  for (const size_t step : {1, 7}) {
    const Result parts = Run(bytes, to, step);
    const bool bad = whole.progress == Progress::kBad || parts.progress == Progress::kBad;
    fastcontainer::Check(parts == whole || bad, "it is the same however the bytes come");
  }
  return 0;
}

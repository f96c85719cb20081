// What clients send to fc-proxy, and what it makes of that for containers.
#include <algorithm>
#include <string>
#include <string_view>

#include "examples/proxy/header_check.h"
#include "examples/proxy/request.h"
#include "tests/fuzz/check.h"
#include "tests/fuzz/proxy_wire.h"

namespace proxy {
namespace {

using fastcontainer::Check;

struct Result {
  int status = 0;
  bool complete = false;
  bool chunked = false;
  std::string key;
  std::string head;
  std::string content;  // of the body, as the container reads it
  size_t used = 0;

  friend bool operator==(const Result&, const Result&) = default;
};

// The bytes come in parts of `step`, as Downstream gets them.
void FeedBody(std::string_view data, size_t step, Request* request, Result* result) {
  Output out;
  std::string body;
  size_t end = 0;
  std::string_view rest;
  while (!request->complete()) {
    if (end == data.size()) break;
    end = std::min(data.size(), end + step);
    rest = data.substr(result->used, end - result->used);
    const Progress progress = request->Feed(&rest, &out);
    Take(&out, &body);
    result->used = end - rest.size();
    if (progress == Progress::kBad) {
      result->status = 400;
      return;
    }
  }
  result->complete = request->complete();
  bool last = false;
  result->content = result->chunked ? Content(body, &last) : body;
  if (result->chunked) Check(last == result->complete, "the container sees the end when it is one");
  Check(result->content.size() == request->body_bytes(), "what is forwarded is counted");
}

Result Run(std::string_view data, size_t step) {
  Result result;
  HeadScan scan;
  HeadScan::Result found = HeadScan::Result::kMore;
  for (size_t end = 0; found == HeadScan::Result::kMore && end < data.size();) {
    end = std::min(data.size(), end + step);
    found = scan.Continue(data.substr(0, end));
  }
  if (found != HeadScan::Result::kComplete) {
    result.status = -1;
    return result;
  }
  const std::string_view block = data.substr(0, scan.size());
  Head head;
  Request request;
  result.status = CheckRequest(block, &head);
  if (result.status == 0)
    result.status = request.Begin(block, head, {"192.0.2.1", step % 2 == 0}, &result.head);
  if (result.status != 0) {
    result.head.clear();
    return result;
  }
  result.chunked = head.chunked;
  result.key = request.key();
  FeedBody(data.substr(scan.size()), step, &request, &result);
  return result;
}

// The container must find the same request in what it is sent, however it reads.
void CheckForwarded(const Result& result) {
  if (result.head.empty() || result.key.empty()) return;  // without a key there is no container
  HeadScan scan;
  Check(scan.Continue(result.head) == HeadScan::Result::kComplete && scan.size() == result.head.size(),
        "one whole head is forwarded");
  Head head;
  const int status = CheckRequest(result.head, &head);
  if (status == 431) return;  // with the proxy's own fields there may be more than it takes
  Check(status == 0, "the head that is forwarded is as strict as one may ask");
  Check(head.minor == 1 && head.chunked == result.chunked, "the framing stays");
  Request again;
  std::string wire;
  const int next = again.Begin(result.head, head, {"192.0.2.1", false}, &wire);
  if (head.max_forwards == 0u && next != 0) return;  // it ends there
  Check(next == 0, "it could be forwarded once more");
  Check(again.key() == result.key, "it is for the same container");
  if (result.complete)
    Check(result.chunked || head.length == result.content.size(), "its length is the body's");
  Check(!Contains(result.head, "\r\nProxy:") && !Contains(result.head, "\r\nContent_Length:"),
        "nothing slips through");
}

}  // namespace
}  // namespace proxy

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace proxy;
  if (size > 128 * 1024) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const Result whole = Run(bytes, std::max<size_t>(size | 1, 1));
  CheckForwarded(whole);
  for (const size_t step : {1, 7}) {
    Result parts = Run(bytes, step);
    // The body's limit is on what waits for the end of a line, so only the outcome of good ones is the same.
    fastcontainer::Check(parts == whole || whole.status == 400, "it is the same however the bytes come");
  }
  CheckForwarded(Run(bytes, 2));  // of a trusted peer
  return 0;
}

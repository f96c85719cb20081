#include "examples/proxy/status.h"

#include <algorithm>

#include "fastcontainer.h"

namespace proxy {

int StatusForCode(int32_t code) {
  switch (code) {
    case FC_E_INVALID:
      return 400;
    case FC_E_UNKNOWN_KEY:
      return 404;
    case FC_E_UNSAFE:
      return 502;
    case FC_E_TIMEOUT:
      return 504;
    default:
      return 503;
  }
}

const char* StatusText(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 404:
      return "Not Found";
    case 408:
      return "Request Timeout";
    case 414:
      return "URI Too Long";
    case 417:
      return "Expectation Failed";
    case 431:
      return "Request Header Fields Too Large";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Error";
  }
}

void AppendOwnResponse(const OwnResponse& response, std::string* text) {
  constexpr uint64_t kSecond = 1000000000;
  const std::string line = std::to_string(response.status) + " " + StatusText(response.status);
  text->append("HTTP/1.1 ").append(line).append("\r\nContent-Type: text/plain\r\nContent-Length: ");
  text->append(std::to_string(line.size() + 1)).append("\r\n");
  if (!response.date.empty()) text->append("Date: ").append(response.date).append("\r\n");
  if (response.status == 503) {
    const uint64_t seconds =
        response.retry_after_ns / kSecond + (response.retry_after_ns % kSecond != 0 ? 1 : 0);
    text->append("Retry-After: ").append(std::to_string(std::max<uint64_t>(seconds, 1))).append("\r\n");
  }
  if (!response.keep_alive) {
    text->append("Connection: close\r\n");
  } else if (response.minor == 0) {
    text->append("Connection: keep-alive\r\n");
  }
  text->append("\r\n");
  if (!response.is_head) text->append(line).append("\n");
}

}  // namespace proxy

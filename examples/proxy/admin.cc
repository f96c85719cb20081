#include "examples/proxy/admin.h"

#include <string_view>

#include "examples/proxy/context.h"
#include "examples/proxy/header_check.h"

namespace proxy {

namespace {

// One request, then it is closed.
class AdminConnection final : public Tcp {
 public:
  explicit AdminConnection(Context* context) : Tcp(context->loop, &context->buffer), context_(context) {}

 private:
  void OnData(std::string_view data) override {
    if (answered_) return;
    held_.append(data);
    switch (scan_.Continue(held_)) {
      case HeadScan::Result::kMore:
        return;
      case HeadScan::Result::kComplete:
        break;
      default:
        return Close();
    }
    Head head;
    const int status = CheckRequest(std::string_view(held_).substr(0, scan_.size()), &head);
    Answer(status, head);
  }

  void Answer(int status, const Head& head) {
    if (status != 0) return Respond("400 Bad Request", "text/plain", "bad request\n", false);
    const bool is_head = head.method == "HEAD";
    if (!is_head && head.method != "GET") {
      return Respond("405 Method Not Allowed", "text/plain", "GET or HEAD\n", false);
    }
    if (head.target == "/metrics") {
      context_->metrics.log_lines_dropped = context_->log.dropped();
      return Respond("200 OK", "text/plain; version=0.0.4",
                     context_->metrics.Format(context_->routes.engine()), is_head);
    }
    if (head.target != "/healthz") return Respond("404 Not Found", "text/plain", "not found\n", is_head);
    if (context_->draining) return Respond("503 Service Unavailable", "text/plain", "draining\n", is_head);
    Respond("200 OK", "text/plain", "ok\n", is_head);
  }

  void Respond(const char* status, const char* type, const std::string& body, bool is_head) {
    answered_ = true;
    std::string text = std::string("HTTP/1.1 ") + status + "\r\nContent-Type: " + type +
                       "\r\nContent-Length: " + std::to_string(body.size()) + "\r\nConnection: close\r\n\r\n";
    if (!is_head) text.append(body);
    Write(text);
    Shutdown();
  }

  void OnEnd(int) override { Close(); }

  Context* context_;
  std::string held_;
  HeadScan scan_;
  bool answered_ = false;
};

}  // namespace

bool Admin::Listen(int socket, std::string* error) {
  uv_tcp_init(context_->loop, &listener_);
  listener_.data = this;
  listening_ = true;
  int result = uv_tcp_open(&listener_, socket);
  if (result == 0) result = uv_listen(reinterpret_cast<uv_stream_t*>(&listener_), 16, OnConnection);
  if (result == 0) return true;
  *error = "admin " + FormatAddress(context_->config.admin) + ": " + uv_strerror(result);
  return false;
}

void Admin::Close() {
  if (listening_) uv_close(reinterpret_cast<uv_handle_t*>(&listener_), nullptr);
  listening_ = false;
}

void Admin::OnConnection(uv_stream_t* listener, int status) {
  if (status != 0) return;
  auto* self = static_cast<Admin*>(listener->data);
  auto* connection = new AdminConnection(self->context_);
  if (connection->Accept(listener) != 0) return connection->Close();
  connection->StartReading();
}

}  // namespace proxy

#include "examples/proxy/tcp.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

namespace proxy {

Tcp::Tcp(uv_loop_t* loop, ReadBuffer* buffer) : buffer_(buffer) {
  uv_tcp_init(loop, &handle_);
  handle_.data = this;
}

int Tcp::Accept(uv_stream_t* listener) {
  const int result = uv_accept(listener, stream());
  if (result == 0) uv_tcp_nodelay(&handle_, 1);
  return result;
}

int Tcp::Connect(const sockaddr* address) {
  connect_ = std::make_unique<uv_connect_t>();
  connect_->data = this;
  return uv_tcp_connect(connect_.get(), &handle_, address, AfterConnect);
}

void Tcp::AfterConnect(uv_connect_t* request, int status) {
  auto* self = static_cast<Tcp*>(request->data);
  self->connect_.reset();
  if (self->closing_) return;
  if (status == 0) uv_tcp_nodelay(&self->handle_, 1);
  self->OnConnected(status);
}

void Tcp::StartReading() {
  if (reading_ || closing_) return;
  reading_ = uv_read_start(stream(), AllocateRead, AfterRead) == 0;
}

void Tcp::StopReading() {
  if (!reading_ || closing_) return;
  uv_read_stop(stream());
  reading_ = false;
}

void Tcp::AllocateRead(uv_handle_t* handle, size_t, uv_buf_t* buffer) {
  *buffer = uv_buf_init(static_cast<Tcp*>(handle->data)->buffer_->data, ReadBuffer::kSize);
}

void Tcp::AfterRead(uv_stream_t* stream, ssize_t size, const uv_buf_t* buffer) {
  auto* self = static_cast<Tcp*>(stream->data);
  if (size > 0) {
    self->OnData({buffer->base, static_cast<size_t>(size)});
  } else if (size < 0) {
    self->StopReading();
    self->OnEnd(static_cast<int>(size));
  }
}

void Tcp::Write(std::string_view data) {
  const uv_buf_t buffer = uv_buf_init(const_cast<char*>(data.data()), static_cast<unsigned>(data.size()));
  Write(&buffer, 1);
}

void Tcp::Write(const uv_buf_t* buffers, size_t count) {
  if (broken_ || closing_ || shut_) return;
  size_t taken = 0;
  if (sending_.empty()) {
    const int result = uv_try_write(stream(), buffers, static_cast<unsigned>(count));
    if (result < 0 && result != UV_EAGAIN) return Break();
    if (result > 0) taken = static_cast<size_t>(result);
  }
  for (size_t i = 0; i < count; ++i) {
    if (taken >= buffers[i].len) {
      taken -= buffers[i].len;
      continue;
    }
    waiting_.append(buffers[i].base + taken, buffers[i].len - taken);
    taken = 0;
  }
  if (sending_.empty() && !waiting_.empty()) SendWaiting();
}

void Tcp::SendWaiting() {
  std::swap(sending_, waiting_);
  if (write_ == nullptr) write_ = std::make_unique<uv_write_t>();
  write_->data = this;
  const uv_buf_t buffer = uv_buf_init(sending_.data(), static_cast<unsigned>(sending_.size()));
  if (uv_write(write_.get(), stream(), &buffer, 1, AfterWrite) != 0) {
    sending_.clear();
    Break();
  }
}

void Tcp::AfterWrite(uv_write_t* request, int status) {
  auto* self = static_cast<Tcp*>(request->data);
  self->sending_.clear();
  if (self->closing_) return;
  if (status != 0) {
    self->waiting_.clear();
    return self->Break();
  }
  if (!self->waiting_.empty()) {
    self->SendWaiting();
  } else {
    // The client was slow for a while; what served it is not kept.
    self->write_.reset();
    std::string().swap(self->sending_);
    std::string().swap(self->waiting_);
    if (std::exchange(self->shut_, false)) self->Shutdown();
  }
  self->OnSent();
}

// The reading side tells the owner: what was received before the error is worth having, and no callback runs
// inside Write().
void Tcp::Break() {
  broken_ = true;
  StartReading();
}

void Tcp::AcknowledgeNow() {
  uv_os_fd_t descriptor = -1;
  const int on = 1;
  if (uv_fileno(reinterpret_cast<uv_handle_t*>(&handle_), &descriptor) != 0) return;
  setsockopt(descriptor, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
}

bool Tcp::Quiet() const {
  uv_os_fd_t descriptor = -1;
  char byte = 0;
  if (uv_fileno(reinterpret_cast<const uv_handle_t*>(&handle_), &descriptor) != 0) return false;
  return recv(descriptor, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

void Tcp::Shutdown() {
  if (closing_ || shut_) return;
  shut_ = true;
  if (broken_ || queued() != 0) return;
  shutdown_ = std::make_unique<uv_shutdown_t>();
  uv_shutdown(shutdown_.get(), stream(), [](uv_shutdown_t*, int) {});
}

void Tcp::Close(bool reset) {
  if (closing_) return;
  closing_ = true;
  if (!reset || uv_tcp_close_reset(&handle_, AfterClose) != 0) {
    uv_close(reinterpret_cast<uv_handle_t*>(&handle_), AfterClose);
  }
}

void Tcp::AfterClose(uv_handle_t* handle) { delete static_cast<Tcp*>(handle->data); }

}  // namespace proxy

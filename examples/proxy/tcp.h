// One TCP connection on a libuv loop: reads go through one buffer that all connections share, writes are
// tried at once and only what the kernel does not take is copied and queued.
#ifndef FASTCONTAINER_EXAMPLES_PROXY_TCP_H_
#define FASTCONTAINER_EXAMPLES_PROXY_TCP_H_

#include <uv.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace proxy {

// The read buffer of a loop. A connection uses it only within one OnData().
struct ReadBuffer {
  static constexpr size_t kSize = 64 * 1024;
  char data[kSize];
};

class Tcp {
 public:
  Tcp(uv_loop_t* loop, ReadBuffer* buffer);
  Tcp(const Tcp&) = delete;
  Tcp& operator=(const Tcp&) = delete;

  int Accept(uv_stream_t* listener);
  // OnConnected() tells the end, unless this returns an error.
  int Connect(const sockaddr* address);
  void StartReading();
  void StopReading();
  bool reading() const { return reading_; }
  // Writing has failed; OnEnd() comes when all that was received has been read.
  bool broken() const { return broken_; }
  bool closing() const { return closing_; }
  // Nothing has come that is not read yet, and no end either.
  bool Quiet() const;

  // Takes all of it. An error shows itself later, through OnEnd().
  void Write(const uv_buf_t* buffers, size_t count);
  void Write(std::string_view data);
  // Bytes that the kernel has not taken yet.
  size_t queued() const { return sending_.size() + waiting_.size(); }
  // Of what has been received, without the usual delay.
  void AcknowledgeNow();
  // No more writes; OnEnd() comes when the other side closes, too.
  void Shutdown();

  // Deletes the object, later; no callback comes any more. Unsent data is lost; `reset` says so to the other
  // side.
  void Close(bool reset = false);

 protected:
  virtual ~Tcp() = default;
  virtual void OnConnected(int /*status*/) {}
  virtual void OnData(std::string_view data) = 0;
  // The other side has closed (UV_EOF), or the connection is broken.
  virtual void OnEnd(int error) = 0;
  // Some of the queue has been sent.
  virtual void OnSent() {}

  uv_loop_t* loop() { return handle_.loop; }
  const uv_tcp_t* handle() const { return &handle_; }

 private:
  static void AllocateRead(uv_handle_t* handle, size_t size, uv_buf_t* buffer);
  static void AfterRead(uv_stream_t* stream, ssize_t size, const uv_buf_t* buffer);
  static void AfterWrite(uv_write_t* request, int status);
  static void AfterConnect(uv_connect_t* request, int status);
  static void AfterClose(uv_handle_t* handle);
  uv_stream_t* stream() { return reinterpret_cast<uv_stream_t*>(&handle_); }
  void SendWaiting();
  void Break();

  uv_tcp_t handle_;
  // Made when it is needed: most connections never are in any of these states.
  std::unique_ptr<uv_connect_t> connect_;
  std::unique_ptr<uv_write_t> write_;
  std::unique_ptr<uv_shutdown_t> shutdown_;
  ReadBuffer* buffer_;
  bool reading_ = false;
  bool closing_ = false;
  bool broken_ = false;
  bool shut_ = false;    // after the queue, if there is one
  std::string sending_;  // of the write in progress
  std::string waiting_;
};

}  // namespace proxy

#endif  // FASTCONTAINER_EXAMPLES_PROXY_TCP_H_

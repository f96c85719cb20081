// The loopback port for those who run the proxy: /metrics and /healthz.
#ifndef FASTCONTAINER_EXAMPLES_PROXY_ADMIN_H_
#define FASTCONTAINER_EXAMPLES_PROXY_ADMIN_H_

#include <uv.h>

#include <string>

namespace proxy {

struct Context;

class Admin {
 public:
  explicit Admin(Context* context) : context_(context) {}
  // On a socket that listens, which is this object's from now on.
  bool Listen(int socket, std::string* error);
  void Close();

 private:
  static void OnConnection(uv_stream_t* listener, int status);

  Context* context_;
  bool listening_ = false;
  uv_tcp_t listener_;
};

}  // namespace proxy

#endif  // FASTCONTAINER_EXAMPLES_PROXY_ADMIN_H_

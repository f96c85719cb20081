#include <arpa/inet.h>
#include <fastcontainer.h>
#include <netinet/in.h>
#include <stdio.h>

int main(void) {
  struct sockaddr_in host = {0};
  fc_probe_result result = {0};
  fc_error error = FC_ERROR_INIT;
  int32_t code;
  host.sin_family = AF_INET;
  host.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  result.struct_size = sizeof(result);
  code = fc_probe_once((const struct sockaddr*)&host, sizeof(host), NULL, &result, &error);
  if (code == FC_E_PERMISSION) {
    printf("%s\n", error.message);
    return 0;
  }
  return code == FC_OK && result.verdict == FC_VERDICT_UP ? 0 : 1;
}

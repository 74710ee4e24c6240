/* What Python calls is visible outside of the library; nothing else is. */
#define API __attribute__((visibility("default")))

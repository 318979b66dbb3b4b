#include "agent/parser/postfix.h"

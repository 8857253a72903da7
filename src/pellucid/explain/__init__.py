"""The building blocks put together for one image."""

from ._explain import Explanation as Explanation, SemanticDictionary as SemanticDictionary, explain as explain
